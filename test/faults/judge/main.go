// Judges a history of posts and reads, given as JSON lines on standard input, room by room with
// Porcupine: is there one order of the operations, in agreement with real time, in which a room is
// a log whose append answers the next seq? Prints one JSON line a room; exit 0 = every room is
// linearizable, 1 = one is not, 2 = the input is wrong or the time ran out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	roomTimeout  = 30 * time.Second
	lineBytesMax = 64 << 20
)

// record is one line. End and Seq are null for a post whose outcome stayed unknown.
type record struct {
	Kind   string   `json:"kind"`
	Room   string   `json:"room"`
	Client int      `json:"client"`
	Key    string   `json:"key"`
	Call   int64    `json:"call"`
	End    *int64   `json:"end"`
	Seq    *int64   `json:"seq"`
	Head   int64    `json:"head"`
	Seqs   []int64  `json:"seqs"`
	Keys   []string `json:"keys"`
}

// node is one entry of a log and all before it; a log is its last node, nil is the empty log.
// Two logs with the same length and the same digest are the same log.
type node struct {
	before *node
	seq    int64
	key    string
	digest uint64
}

func (n *node) head() int64 {
	if n == nil {
		return 0
	}
	return n.seq
}

func (n *node) with(key string) *node {
	const prime = 1099511628211
	digest := uint64(14695981039346656037)
	if n != nil {
		digest = n.digest
	}
	for i := 0; i < len(key); i++ {
		digest = (digest ^ uint64(key[i])) * prime
	}
	return &node{before: n, seq: n.head() + 1, key: key, digest: digest}
}

// shows tells whether the entries with these ascending seqs are entries of the log.
func (n *node) shows(seqs []int64, keys []string) bool {
	at := n
	for i := len(seqs) - 1; i >= 0; i-- {
		for at != nil && at.seq > seqs[i] {
			at = at.before
		}
		if at == nil || at.seq != seqs[i] || at.key != keys[i] {
			return false
		}
	}
	return true
}

func step(state, input, _ interface{}) (bool, interface{}) {
	log, _ := state.(*node)
	r := input.(*record)
	switch r.Kind {
	case "post":
		if r.Seq != nil && *r.Seq != log.head()+1 {
			return false, log
		}
		return true, log.with(r.Key)
	case "read":
		whole := int64(len(r.Seqs)) == r.Head && log.head() == r.Head
		return whole && log.shows(r.Seqs, r.Keys), log
	case "peek", "push":
		return r.Head <= log.head() && log.shows(r.Seqs, r.Keys), log
	}
	return false, log
}

func equal(a, b interface{}) bool {
	x, _ := a.(*node)
	y, _ := b.(*node)
	if x == nil || y == nil {
		return x == y
	}
	return x.seq == y.seq && x.digest == y.digest
}

var model = porcupine.Model{
	Init:  func() interface{} { return (*node)(nil) },
	Step:  step,
	Equal: equal,
}

// resolve turns the posts of unknown outcome into operations that return at the end of history. If
// the last read shows such a post, its seq is known after all; if not, it took effect after that
// read or never, and constrains nothing. Without this every such post could stand anywhere, and
// the search would be exponential in their number.
func resolve(records []*record) []porcupine.Operation {
	var last *record
	for _, r := range records {
		if r.Kind == "read" && (last == nil || *r.End > *last.End) {
			last = r
		}
	}
	shown := map[string]int64{}
	if last != nil {
		for i, key := range last.Keys {
			shown[key] = last.Seqs[i]
		}
	}
	var operations []porcupine.Operation
	for _, r := range records {
		end := int64(math.MaxInt64)
		if r.End != nil {
			end = *r.End
		} else if seq, ok := shown[r.Key]; ok {
			r.Seq = &seq
		} else {
			continue
		}
		operations = append(operations, porcupine.Operation{
			ClientId: r.Client, Input: r, Call: r.Call, Output: nil, Return: end,
		})
	}
	return operations
}

func readRooms() (map[string][]*record, error) {
	rooms := map[string][]*record{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), lineBytesMax)
	for lines.Scan() {
		r := &record{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return nil, err
		}
		if len(r.Seqs) != len(r.Keys) || (r.Kind != "post" && r.End == nil) {
			return nil, fmt.Errorf("a look of room %s is incomplete", r.Room)
		}
		rooms[r.Room] = append(rooms[r.Room], r)
	}
	return rooms, lines.Err()
}

func main() {
	rooms, err := readRooms()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	names := make([]string, 0, len(rooms))
	for name := range rooms {
		names = append(names, name)
	}
	sort.Strings(names)
	exit := 0
	for _, name := range names {
		operations := resolve(rooms[name])
		result := porcupine.CheckOperationsTimeout(model, operations, roomTimeout)
		line, _ := json.Marshal(map[string]interface{}{
			"room": name, "result": string(result), "operations": len(operations),
		})
		fmt.Println(string(line))
		switch {
		case result == porcupine.Illegal:
			exit = 1
		case result == porcupine.Unknown && exit == 0:
			exit = 2
		}
	}
	os.Exit(exit)
}
