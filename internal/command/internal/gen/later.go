package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed later.txt
var laterText string

// letters are the flags in later.txt.
var letters = map[rune]string{
	'w': "Write", 'r': "ReadOnly", 'b': "Blocking", 's': "NoScript", 'm': "Movable", 'c': "Container", 'o': "Module",
}

// later reads later.txt. A line that begins with "group" names the group, the version and flags of
// those after it.
func later() ([]line, error) {
	var (
		lines                []line
		group, since, common string
	)
	for row := range strings.Lines(laterText) {
		f := strings.Fields(row)
		switch {
		case len(f) == 0 || f[0] == "#":
			continue
		case f[0] == "group" && len(f) == 4:
			group, since, common = f[1], f[2], strings.Trim(f[3], "-")
			continue
		case len(f) != 4:
			return nil, fmt.Errorf("later.txt: %q: want name, arity, flags, keys", row)
		}
		l := line{name: strings.ReplaceAll(f[0], "|", " "), group: group}
		var err error
		if l.since, err = version(since); err != nil {
			return nil, err
		}
		if l.arity, err = strconv.ParseInt(f[1], 10, 8); err != nil {
			return nil, fmt.Errorf("later.txt: %q: %w", row, err)
		}
		for _, letter := range strings.Trim(f[2], "-") + common {
			if letters[letter] == "" {
				return nil, fmt.Errorf("later.txt: %q: no flag %c", row, letter)
			}
			l.flags = append(l.flags, letters[letter])
		}
		if err := l.keys(f[3]); err != nil {
			return nil, fmt.Errorf("later.txt: %q: %w", row, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// keys reads "1", "1:2" (from, to), "1:-1:3" (from, to, step), "#2" (a number of keys), those parted
// by commas, "-" for none and "?" for those that the arguments do not name.
func (l *line) keys(spec string) error {
	switch spec {
	case "-":
		return nil
	case "?":
		l.flags = append(l.flags, "Anywhere")
		return nil
	}
	for part := range strings.SplitSeq(spec, ",") {
		if n, found := strings.CutPrefix(part, "#"); found {
			v, err := strconv.ParseInt(n, 10, 8)
			if err != nil {
				return err
			}
			l.nums = v
			continue
		}
		var n []int64
		for s := range strings.SplitSeq(part, ":") {
			v, err := strconv.ParseInt(s, 10, 8)
			if err != nil {
				return err
			}
			n = append(n, v)
		}
		l.first, l.last, l.step = n[0], n[0], 1
		if len(n) > 1 {
			l.last = n[1]
		}
		if len(n) > 2 {
			l.step = n[2]
		}
	}
	return nil
}
