package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or folder: the loopback's, with the disk's memory of what is not synced.
type node struct {
	*fs.LoopbackNode
	d *disk
}

func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	loopback, ok := ops.(*fs.LoopbackNode)
	if !ok {
		return ops
	}
	return &node{LoopbackNode: loopback, d: n.d}
}

// path as seen from the mount; folder is where it really lies.
func (n *node) path() string   { return n.EmbeddedInode().Path(n.EmbeddedInode().Root()) }
func (n *node) folder() string { return filepath.Join(n.d.view, n.path()) }

const syncFlags = syscall.O_DSYNC | syscall.O_SYNC

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	own := int(flags) &^ (syncFlags | syscall.O_APPEND | syscall.O_TRUNC | syscall.O_WRONLY | syscall.O_RDWR)
	f, err := os.OpenFile(n.folder(), own|syscall.O_RDWR, 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	h := &handle{f: f, d: n.d, path: n.path(), synced: int(flags)&syncFlags != 0}
	return h, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	path := filepath.Join(n.folder(), name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, os.FileMode(mode))
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	n.change(func() error { return os.Remove(path) }, nil)
	child, errno := n.LoopbackNode.Lookup(ctx, name, out)
	if errno != 0 {
		f.Close()
		return nil, nil, 0, errno
	}
	shown := filepath.Join(n.path(), name)
	h := &handle{f: f, d: n.d, path: shown, synced: int(flags)&syncFlags != 0}
	return child, h, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	child, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	if errno == 0 {
		path := filepath.Join(n.folder(), name)
		n.change(func() error { return os.RemoveAll(path) }, nil)
	}
	return child, errno
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	path := filepath.Join(n.folder(), name)
	n.d.lock.Lock()
	kept := n.d.setAside(path)
	n.d.lock.Unlock()
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 && kept != "" {
		n.change(func() error { return os.Rename(kept, path) }, func() { os.Remove(kept) })
	}
	return errno
}

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	target, ok := parent.(*node)
	if !ok {
		return syscall.EXDEV
	}
	from, to := filepath.Join(n.folder(), name), filepath.Join(target.folder(), newName)
	n.d.lock.Lock()
	kept := n.d.setAside(to)
	n.d.lock.Unlock()
	errno := n.LoopbackNode.Rename(ctx, name, target.LoopbackNode, newName, flags)
	if errno != 0 {
		return errno
	}
	target.change(func() error {
		if err := os.Rename(to, from); err != nil || kept == "" {
			return err
		}
		return os.Rename(kept, to)
	}, func() { os.Remove(kept) })
	return 0
}

// change notes an entry of this folder that is not on the disk yet.
func (n *node) change(undo func() error, keep func()) {
	n.d.lock.Lock()
	defer n.d.lock.Unlock()
	n.d.changes = append(n.d.changes, entryChange{folder: n.path(), undo: undo, keep: keep})
}

// OpendirHandle hides the loopback's own handle, which would sync the folder past us.
func (n *node) OpendirHandle(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

// Fsync is of a folder when there is no handle of a file.
func (n *node) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	if h, ok := f.(*handle); ok {
		return h.Fsync(ctx, flags)
	}
	if n.d.fails("sync", n.path()+"/") {
		return syscall.EIO
	}
	n.d.lock.Lock()
	defer n.d.lock.Unlock()
	n.d.syncFolder(n.path())
	return 0
}

func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.beforeResize(int64(size)); errno != 0 {
			return errno
		}
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

func (n *node) beforeResize(size int64) syscall.Errno {
	f, err := os.OpenFile(n.folder(), os.O_RDWR, 0)
	if err != nil {
		return fs.ToErrno(err)
	}
	defer f.Close()
	n.d.lock.Lock()
	defer n.d.lock.Unlock()
	_, before, err := inode(f)
	if err == nil {
		err = n.d.remember(f, size, max(0, before-size))
	}
	return fs.ToErrno(err)
}

// handle is an open file.
type handle struct {
	f      *os.File
	d      *disk
	path   string
	synced bool
}

func (h *handle) Read(_ context.Context, into []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	if h.d.fails("read", h.path) {
		return nil, syscall.EIO
	}
	n, err := syscall.Pread(int(h.f.Fd()), into, offset)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(into[:n]), 0
}

func (h *handle) Write(_ context.Context, data []byte, offset int64) (uint32, syscall.Errno) {
	if h.d.fails("write", h.path) {
		return 0, syscall.EIO
	}
	written, errno := h.writeUnsynced(data, offset)
	if errno != 0 || !h.synced {
		return written, errno
	}
	// As after a failed sync on a real system: the kernel shows the data, the disk has not got it.
	if h.d.fails("sync", h.path) {
		return 0, syscall.EIO
	}
	h.d.lock.Lock()
	defer h.d.lock.Unlock()
	h.d.stored(h.f, offset, int64(written))
	return written, 0
}

func (h *handle) writeUnsynced(data []byte, offset int64) (uint32, syscall.Errno) {
	h.d.lock.Lock()
	defer h.d.lock.Unlock()
	if err := h.d.remember(h.f, offset, int64(len(data))); err != nil {
		return 0, fs.ToErrno(err)
	}
	n, err := syscall.Pwrite(int(h.f.Fd()), data, offset)
	return uint32(max(n, 0)), fs.ToErrno(err)
}

func (h *handle) Fsync(_ context.Context, _ uint32) syscall.Errno {
	if h.synced {
		return 0
	}
	if h.d.fails("sync", h.path) {
		return syscall.EIO
	}
	h.d.lock.Lock()
	defer h.d.lock.Unlock()
	ino, _, err := inode(h.f)
	if err == nil {
		h.d.clean(ino)
	}
	return fs.ToErrno(err)
}

func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.f.Close()) }

func (h *handle) Getattr(_ context.Context, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h.f.Fd()), &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStat(&st)
	return 0
}
