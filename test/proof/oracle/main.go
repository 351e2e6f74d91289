// Oracle answers, with the code of golang.org/x/mod/sumdb, what a JSON Lines file on standard input
// claims about trees, proofs and notes; one line of "ok" or of what is wrong for each claim.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type claim struct {
	Kind    string
	Leaves  [][]byte
	Size    int64
	Old     int64
	Index   int64
	Leaf    []byte
	Root    []byte
	OldRoot []byte
	Proof   [][]byte
	Note    string
	Keys    []string
	Seed    []byte
	Name    string
	Text    string
}

func hashOf(bytes []byte) (hash tlog.Hash) {
	copy(hash[:], bytes)
	return hash
}

func hashesOf(list [][]byte) (hashes []tlog.Hash) {
	for _, one := range list {
		hashes = append(hashes, hashOf(one))
	}
	return hashes
}

// stored keeps what tlog says must be stored of a growing tree.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, errors.New("no such hash")
		}
		hashes[i] = s[index]
	}
	return hashes, nil
}

// tree checks a root and sums up every inclusion and every consistency proof of a tree.
func tree(c claim) (any, error) {
	var hashes stored
	for i, leaf := range c.Leaves {
		more, err := tlog.StoredHashes(int64(i), leaf, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(c.Size, hashes)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root[:], c.Root) {
		return nil, fmt.Errorf("root of %d leaves is %v", c.Size, root)
	}
	sum := sha256.New()
	for at := int64(0); at < c.Size; at++ {
		proof, err := tlog.ProveRecord(c.Size, at, hashes)
		if err != nil {
			return nil, err
		}
		older, err := tlog.ProveTree(c.Size, at+1, hashes)
		if err != nil {
			return nil, err
		}
		for _, hash := range proof {
			sum.Write(hash[:])
		}
		for _, hash := range older {
			sum.Write(hash[:])
		}
	}
	return sum.Sum(nil), nil
}

// cosigner verifies c2sp.org/tlog-cosignature, written here from its text.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, msg)
	return ed25519.Verify(c.key, []byte(message), sig[8:])
}

func verifierOf(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) == 3 {
		key, err := base64.StdEncoding.DecodeString(parts[2])
		if err == nil && len(key) == 33 && key[0] == 4 {
			sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
			hash := binary.BigEndian.Uint32(sum[:])
			if fmt.Sprintf("%08x", hash) != parts[1] {
				return nil, errors.New("id of a cosigner's key")
			}
			return cosigner{parts[0], hash, ed25519.PublicKey(key[1:])}, nil
		}
	}
	return note.NewVerifier(vkey)
}

func open(c claim) (any, error) {
	var verifiers []note.Verifier
	for _, vkey := range c.Keys {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(c.Note), note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	if len(opened.UnverifiedSigs) > 0 {
		return nil, fmt.Errorf("%d signatures of unknown keys", len(opened.UnverifiedSigs))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 {
		return nil, fmt.Errorf("%d lines", len(lines))
	}
	return map[string]any{"signatures": len(opened.Sigs), "origin": lines[0], "size": lines[1]}, nil
}

// sign makes a note with a key that follows from a seed.
func sign(c claim) (any, error) {
	key := ed25519.NewKeyFromSeed(c.Seed)
	vkey, err := note.NewEd25519VerifierKey(c.Name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	hash := strings.SplitN(vkey, "+", 3)[1]
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, c.Seed...))
	signer, err := note.NewSigner("PRIVATE+KEY+" + c.Name + "+" + hash + "+" + private)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: c.Text}, signer)
	return map[string]any{"note": string(signed), "key": vkey}, err
}

func judge(c claim) (any, error) {
	switch c.Kind {
	case "tree":
		return tree(c)
	case "inclusion":
		return nil, tlog.CheckRecord(hashesOf(c.Proof), c.Size, hashOf(c.Root), c.Index, hashOf(c.Leaf))
	case "consistency":
		return nil, tlog.CheckTree(hashesOf(c.Proof), c.Size, hashOf(c.Root), c.Old, hashOf(c.OldRoot))
	case "open":
		return open(c)
	case "sign":
		return sign(c)
	}
	return nil, fmt.Errorf("unknown claim %q", c.Kind)
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	decoder := json.NewDecoder(input)
	encoder := json.NewEncoder(output)
	for decoder.More() {
		var c claim
		if err := decoder.Decode(&c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		answer, err := judge(c)
		said := map[string]any{"answer": answer}
		if err != nil {
			said["error"] = err.Error()
		}
		if err := encoder.Encode(said); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
