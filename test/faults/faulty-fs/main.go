// A disk that fails on command, for the tests: a FUSE file system above a folder. It remembers, a
// page at a time, what a power cut would leave of un-synced writes, and can do that; it can refuse
// and delay reads, writes and syncs of chosen files.
//
//	faulty-fs BACKING MOUNTPOINT SOCKET
//
// BACKING holds the folders view (what is seen) and stash (what a power cut would bring back). One
// command a line on the Unix socket SOCKET, one line of answer each; see control.go. Ends, and
// unmounts, when standard input ends: so it never outlives who started it.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: faulty-fs BACKING MOUNTPOINT SOCKET")
		os.Exit(2)
	}
	backing, mountPoint, socket := os.Args[1], os.Args[2], os.Args[3]
	d := &disk{
		view:   filepath.Join(backing, "view"),
		stash:  filepath.Join(backing, "stash"),
		files:  map[uint64]*dirtyFile{},
		delays: map[string]time.Duration{},
		fired:  map[string]int{},
	}
	for _, folder := range []string{d.view, d.stash, mountPoint} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			log.Fatal(err)
		}
	}
	server, err := mount(d, mountPoint)
	if err != nil {
		log.Fatal(err)
	}
	if err := serveControl(d, socket); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	if server.Unmount() != nil {
		syscall.Unmount(mountPoint, syscall.MNT_DETACH)
	}
}

func mount(d *disk, mountPoint string) (*fuse.Server, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(d.view, &st); err != nil {
		return nil, err
	}
	data := &fs.LoopbackRoot{Path: d.view, Dev: uint64(st.Dev)}
	root := &node{LoopbackNode: &fs.LoopbackNode{RootData: data}, d: d}
	data.RootNode = root
	none := time.Duration(0)
	return fs.Mount(mountPoint, root, &fs.Options{
		// Nothing may be remembered above us: a power cut changes files behind the kernel's back.
		AttrTimeout:     &none,
		EntryTimeout:    &none,
		NegativeTimeout: &none,
		MountOptions: fuse.MountOptions{
			DirectMountStrict: true,
			FsName:            "tigerchat-faulty",
			Name:              "tigerchat-faulty",
			MaxWrite:          256 << 10,
		},
	})
}
