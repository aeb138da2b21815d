package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/migrator/internal/rig"
)

// result is what one run of a client cost.
type result struct {
	wall time.Duration
	rss  int64 // peak resident memory, bytes
	anon int64 // peak anonymous part of it, from samples
	// cpu is the client's processor time, user and system; fakes is what both fakes used meanwhile.
	cpu, fakes time.Duration
	out        string
}

// measure runs a command to its end, which has to be a success.
func (b *bench) measure(cmd *exec.Cmd) (result, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	fakes := b.fakesCPU()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		t := time.NewTicker(50 * time.Millisecond)
		defer t.Stop()
		for {
			most = max(most, anon(cmd.Process.Pid))
			select {
			case <-t.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	err := cmd.Wait()
	r := result{wall: time.Since(began), fakes: b.fakesCPU() - fakes, out: out.String()}
	close(stop)
	r.anon = <-peak
	if err != nil {
		return r, fmt.Errorf("%s: %w\n%s", cmd.Path, err, tail(r.out))
	}
	r.rss = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, nil
}

// fakesCPU is the processor time of both fakes so far.
func (b *bench) fakesCPU() (sum time.Duration) {
	for _, f := range []*rig.Fake{b.drive, b.sink} {
		p, err := procfs.NewProc(f.PID())
		if err != nil {
			continue // it is gone: the client will fail
		}
		if st, err := p.Stat(); err == nil {
			sum += time.Duration(st.CPUTime() * float64(time.Second))
		}
	}
	return sum
}

func tail(s string) string {
	if len(s) > 2000 {
		return "..." + s[len(s)-2000:]
	}
	return s
}

// anon is a process's anonymous resident memory now; 0 when it is gone.
func anon(pid int) int64 {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	status, _ := proc.NewStatus()
	return int64(status.RssAnon)
}

// migrator is a copy by the migrator over TLS on both sides, each request to the store signed.
func (b *bench) migrator(root string, workers int, extra ...string) *exec.Cmd {
	b.n++
	args := append([]string{"copy", "--drive-endpoint", b.drive.HTTPS, "--s3-endpoint", b.sink.HTTPS, "--ca-file", b.ca,
		"--bucket", bucket, "--prefix", fmt.Sprintf("m%d", b.n), "--state-dir", fmt.Sprintf("%s/state%d", b.dir, b.n),
		"--workers", strconv.Itoa(workers)}, extra...)
	cmd := exec.CommandContext(b.ctx, b.bins.Migrator, append(args, root)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench")
	return cmd
}

// barePipe is a copy by one of the pipes.
func (b *bench) barePipe(which, root string, workers int) *exec.Cmd {
	b.n++
	return exec.CommandContext(b.ctx, filepath.Join(b.dir, which), "-drive", b.drive.HTTPS, "-sink", b.sink.HTTPS,
		"-bucket", bucket, "-prefix", fmt.Sprintf("p%d", b.n), "-root", root, "-ca", b.ca, "-workers",
		strconv.Itoa(workers))
}

// rcloneCmd runs rclone through fakedrive's proxy, since its Drive backend has no endpoint option. The pacer is lifted;
// checks after the upload that the migrator leaves to the store are off.
func (b *bench) rcloneCmd(root string, args ...string) (*exec.Cmd, error) {
	b.n++
	conf := fmt.Sprintf("%s/rclone%d.conf", b.dir, b.n)
	text := "[drive]\ntype = drive\nscope = drive\nroot_folder_id = " + root + "\n" +
		"token = {\"access_token\":\"bench\",\"token_type\":\"Bearer\",\"expiry\":\"2099-01-01T00:00:00Z\"}\n" +
		"pacer_min_sleep = 0\npacer_burst = 100000\nskip_gdocs = true\n" +
		"[s3]\ntype = s3\nprovider = Other\nendpoint = " + b.sink.HTTPS + "\naccess_key_id = x\nsecret_access_key = x\n" +
		"force_path_style = true\nno_check_bucket = true\nno_head = true\ndisable_checksum = true\nupload_cutoff = 4G\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(b.ctx, b.rclone, append([]string{"--config", conf, "--ca-cert", b.ca, "--log-level",
		"ERROR"}, args...)...)
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+b.drive.Proxy, "NO_PROXY=127.0.0.1", "https_proxy="+b.drive.Proxy)
	return cmd, nil
}

func (b *bench) rcloneCopy(root string, workers int) (*exec.Cmd, error) {
	n := strconv.Itoa(workers)
	return b.rcloneCmd(root, "copy", "drive:", fmt.Sprintf("s3:%s/r%d", bucket, b.n), "--transfers", n, "--checkers", "16",
		"--fast-list", "--no-traverse", "--buffer-size", "1M", "--multi-thread-streams", "0", "--ignore-checksum")
}
