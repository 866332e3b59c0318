package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
)

type screen struct {
	out    io.Writer
	colour bool
	began  time.Time
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, began: time.Now()}
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		s.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) at() string {
	d := time.Since(s.began)
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func (s *screen) title(text string) { fmt.Fprintf(s.out, "\n%s\n", s.paint("1", text)) }

func (s *screen) event(text string) {
	fmt.Fprintf(s.out, "%s  %s\n", s.at(), s.paint("33", ">> "+text))
}

func (s *screen) bar(serving fallback.Backend, primary, local, failed int64, worst time.Duration) {
	const wide = 30
	total := max(primary+local, 1)
	p := int(primary * wide / total)
	bar := s.paint("32", strings.Repeat("P", p)) + s.paint("36", strings.Repeat("L", wide-p))
	if primary+local == 0 {
		bar = strings.Repeat(".", wide)
	}
	fmt.Fprintf(s.out, "%s  %-7s [%s] primary %4d/s  local %4d/s  slowest call %6s  failed %d\n",
		s.at(), serving, bar, primary, local, worst.Round(100*time.Microsecond), failed)
}
