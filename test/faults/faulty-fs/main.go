package main
import _ "github.com/hanwen/go-fuse/v2/fs"
func main(){}
