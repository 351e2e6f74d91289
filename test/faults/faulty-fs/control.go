package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// serveControl answers commands:
//
//	fail read|write|sync PATH COUNT   EIO for files with PATH in their path; * = all; -1 = for ever
//	delay read|write|sync MS          every such call takes so much longer
//	heal                              no rule and no delay is left
//	drop                              a power cut: what was not synced is gone
//	stats                             un-synced pages and entries, failed calls
func serveControl(d *disk, path string) error {
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				lines := bufio.NewScanner(connection)
				for lines.Scan() {
					fmt.Fprintln(connection, d.command(strings.Fields(lines.Text())))
				}
			}()
		}
	}()
	return nil
}

func (d *disk) command(words []string) string {
	switch {
	case len(words) == 4 && words[0] == "fail":
		count, err := strconv.Atoi(words[3])
		if err != nil {
			return "error: " + err.Error()
		}
		d.lock.Lock()
		defer d.lock.Unlock()
		d.rules = append(d.rules, &rule{operation: words[1], path: words[2], left: count})
		return "ok"
	case len(words) == 3 && words[0] == "delay":
		ms, err := strconv.Atoi(words[2])
		if err != nil {
			return "error: " + err.Error()
		}
		d.lock.Lock()
		defer d.lock.Unlock()
		d.delays[words[1]] = time.Duration(ms) * time.Millisecond
		return "ok"
	case len(words) == 1 && words[0] == "heal":
		d.lock.Lock()
		defer d.lock.Unlock()
		d.rules = nil
		d.delays = map[string]time.Duration{}
		return "ok"
	case len(words) == 1 && words[0] == "drop":
		pages, entries, err := d.drop()
		if err != nil {
			return "error: " + err.Error()
		}
		return fmt.Sprintf("ok pages %d entries %d", pages, entries)
	case len(words) == 1 && words[0] == "stats":
		return "ok " + d.stats()
	}
	return "error: unknown command"
}

func (d *disk) stats() string {
	d.lock.Lock()
	defer d.lock.Unlock()
	pages := 0
	for _, dirty := range d.files {
		pages += len(dirty.pages)
	}
	return fmt.Sprintf("pages %d entries %d read %d write %d sync %d",
		pages, len(d.changes), d.fired["read"], d.fired["write"], d.fired["sync"])
}
