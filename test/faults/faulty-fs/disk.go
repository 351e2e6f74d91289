package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const pageBytes = 4096

// rule makes calls fail with EIO.
type rule struct {
	// operation: read, write or sync. path: part of the file's path; "*" is every file.
	operation, path string
	// left: how often still; negative = for ever.
	left int
}

// dirtyFile is what a power cut would leave of a file: its size, and the pages that differ.
type dirtyFile struct {
	file  *os.File
	size  int64
	pages map[int64][]byte
}

// entryChange is a change of a folder that a power cut would undo until the folder is synced.
type entryChange struct {
	folder string
	undo   func() error
	keep   func()
}

type disk struct {
	view, stash string
	lock        sync.Mutex
	files       map[uint64]*dirtyFile
	changes     []entryChange
	stashed     int
	rules       []*rule
	delays      map[string]time.Duration
	fired       map[string]int
}

// fails waits as long as this operation takes now, then tells whether it must fail.
func (d *disk) fails(operation, path string) bool {
	d.lock.Lock()
	delay := d.delays[operation]
	d.lock.Unlock()
	time.Sleep(delay)
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, r := range d.rules {
		if r.operation != operation || r.left == 0 {
			continue
		}
		if r.path != "*" && !strings.Contains(path, r.path) {
			continue
		}
		if r.left > 0 {
			r.left--
		}
		d.fired[operation]++
		return true
	}
	return false
}

func inode(f *os.File) (uint64, int64, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return 0, 0, err
	}
	return st.Ino, st.Size, nil
}

// remember keeps what the disk holds of a range before it is written. Called with the lock held.
func (d *disk) remember(f *os.File, offset, length int64) error {
	ino, size, err := inode(f)
	if err != nil {
		return err
	}
	dirty := d.files[ino]
	if dirty == nil {
		own, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		dirty = &dirtyFile{file: own, size: size, pages: map[int64][]byte{}}
		d.files[ino] = dirty
	}
	for at := offset - offset%pageBytes; at < offset+length; at += pageBytes {
		if _, known := dirty.pages[at]; known {
			continue
		}
		page := make([]byte, pageBytes)
		n, _ := dirty.file.ReadAt(page, at)
		dirty.pages[at] = page[:n]
	}
	return nil
}

// stored: a range of a file is on the disk. Called with the lock held.
func (d *disk) stored(f *os.File, offset, length int64) {
	ino, size, err := inode(f)
	dirty := d.files[ino]
	if err != nil || dirty == nil {
		return
	}
	for at := offset - offset%pageBytes; at < offset+length; at += pageBytes {
		delete(dirty.pages, at)
	}
	dirty.size = max(dirty.size, min(size, offset+length))
	if len(dirty.pages) == 0 && dirty.size == size {
		d.clean(ino)
	}
}

// clean: all of a file is on the disk. Called with the lock held.
func (d *disk) clean(ino uint64) {
	if dirty := d.files[ino]; dirty != nil {
		dirty.file.Close()
		delete(d.files, ino)
	}
}

// setAside keeps a file that is about to lose its name, and gives the place where it is kept.
func (d *disk) setAside(path string) string {
	d.stashed++
	kept := filepath.Join(d.stash, fmt.Sprint(d.stashed))
	if os.Link(path, kept) != nil {
		return ""
	}
	return kept
}

// syncFolder: the entries of a folder are on the disk. Called with the lock held.
func (d *disk) syncFolder(folder string) {
	left := d.changes[:0]
	for _, change := range d.changes {
		if change.folder != folder {
			left = append(left, change)
		} else if change.keep != nil {
			change.keep()
		}
	}
	d.changes = left
}

// drop is the power cut: everything that was not synced is gone. Gives pages and entries lost.
func (d *disk) drop() (int, int, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	pages := 0
	for ino, dirty := range d.files {
		for at, page := range dirty.pages {
			pages++
			end := min(at+int64(len(page)), dirty.size)
			if end <= at {
				continue
			}
			if _, err := dirty.file.WriteAt(page[:end-at], at); err != nil {
				return 0, 0, err
			}
		}
		if err := dirty.file.Truncate(dirty.size); err != nil {
			return 0, 0, err
		}
		d.clean(ino)
	}
	entries := len(d.changes)
	for i := entries - 1; i >= 0; i-- {
		if err := d.changes[i].undo(); err != nil {
			return 0, 0, err
		}
	}
	d.changes = nil
	return pages, entries, nil
}
