package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// listMain is the child that lists a tree into the embedded queue, as the migrator does with discovery alone.
func listMain(args []string) int {
	f := flag.NewFlagSet("list", flag.ExitOnError)
	drive := f.String("drive", "", "base URL of Drive")
	ca := f.String("ca", "", "PEM of the authorities to trust")
	root := f.String("root", "", "folder id")
	dir := f.String("dir", "", "folder of the queue")
	if err := f.Parse(args); err != nil {
		return 2
	}
	debug.SetGCPercent(200) // as migrator discover does
	if err := discover(context.Background(), *drive, *ca, *root, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "list:", err)
		return 1
	}
	return 0
}

func discover(ctx context.Context, drive, ca, root, dir string) (err error) {
	s := wire.DefaultSettings()
	s.DriveEndpoint, s.CAFile = drive, ca
	s.S3Endpoint, s.Bucket = "http://127.0.0.1:1", "unused"
	e, err := wire.Open(ctx, s)
	if err != nil {
		return err
	}
	defer e.Close()
	q, _, err := wire.OpenQueue(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close(), os.RemoveAll(dir)) }()
	cfg := migrator.DefaultConfig()
	cfg.Root = root
	c, err := migrator.New(cfg, e.Source, nil, q)
	if err != nil {
		return err
	}
	if err := c.Start(ctx, false); err != nil {
		return err
	}
	return c.Discover(ctx)
}
