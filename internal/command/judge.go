package command

// lifetime reads an option that says how long a key or field lives, and its value after it.
func lifetime(option string) (Opts, bool) {
	switch {
	case foldEqual(option, "ex"):
		return Seconds | Relative, true
	case foldEqual(option, "px"):
		return Relative, true
	case foldEqual(option, "exat"):
		return Seconds, true
	case foldEqual(option, "pxat"):
		return 0, true
	}
	return 0, false
}

func judgeSet(n Note, args []any) (Note, bool) {
	if len(args) == 3 {
		return n, true
	}
	n.Code = NoteSet
	for i := 3; i < len(args); i++ {
		o := textOf(args[i])
		if _, ok := lifetime(o); ok {
			n.Opts |= Expires
			i++
			continue
		}
		switch {
		case foldEqual(o, "nx"):
			n.Opts |= NX
		case foldEqual(o, "xx"):
			n.Opts |= XX
		case foldEqual(o, "get"):
			n.Opts |= Get
		case foldEqual(o, "keepttl"):
			n.Opts |= KeepTTL
		default:
			return n, false
		}
	}
	switch {
	case n.Opts.Has(NX | Get):
		n.When = IfNil
	case n.Opts.Has(NX), n.Opts.Has(XX):
		n.When = IfNotNil // OK, or with GET the old value
	}
	return n, true
}

func judgeGetEx(n Note, args []any) (Note, bool) {
	if len(args) == 2 {
		return Note{Code: NoteNothing}, true
	}
	o := textOf(args[2])
	if _, ok := lifetime(o); ok {
		n.Opts |= Expires
		return n, true
	}
	n.Opts |= Persist
	return n, foldEqual(o, "persist")
}

// judgeCopy points at the number of the database, which go-redis always sends.
func judgeCopy(n Note, args []any) (Note, bool) {
	for i := 3; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "replace"):
		case foldEqual(o, "db"):
			i++
			n.Option = int16(i)
		default:
			return n, false
		}
	}
	return n, int(n.Option) < len(args)
}

// judgeZAdd looks for INCR, with which nil says that nothing was done.
func judgeZAdd(n Note, args []any) (Note, bool) {
	for i := 2; i < len(args); i++ {
		o, ok := text(args[i])
		switch {
		case !ok:
			_, isBytes := args[i].([]byte) // an option, perhaps
			return n, !isBytes
		case foldEqual(o, "incr"):
			n.When = IfNotNil
		case foldEqual(o, "nx"), foldEqual(o, "xx"), foldEqual(o, "gt"), foldEqual(o, "lt"), foldEqual(o, "ch"):
		default:
			return n, true
		}
	}
	return n, true
}

func judgeSort(n Note, args []any) (Note, bool) { return judgeStore(n, args, sortOptions, 2) }

func judgeGeoRadius(n Note, args []any) (Note, bool) { return judgeStore(n, args, geoOptions, 6) }

func judgeGeoRadiusByMember(n Note, args []any) (Note, bool) {
	return judgeStore(n, args, geoOptions, 5)
}

func judgeStore(n Note, args []any, options map[string]int8, from int) (Note, bool) {
	at, ok := storePosition(args, options, from)
	if at > 0 {
		n = Note{Code: NoteDeadlines, Key: int16(at), Last: int16(at), Step: 1}
	}
	return n, ok
}

// judgeBitField lets through what only reads. The replies of the rest may be beyond the integers that
// a script has, in the middle of an array.
func judgeBitField(n Note, args []any) (Note, bool) {
	for i := 2; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "get"):
			i += 2
		case foldEqual(o, "overflow"):
			i++
		default:
			return n, false
		}
	}
	return n, true
}

// judgeCount points at the count of a pop, without which the reply is no array.
func judgeCount(n Note, args []any) (Note, bool) {
	if len(args) > 2 {
		n.At = 2
	}
	return n, true
}

// judgeMPop reads [timeout] numkeys key… LEFT|RIGHT|MIN|MAX [COUNT n].
func judgeMPop(n Note, args []any) (Note, bool) {
	at := int(n.Timeout) + 1
	keys, ok := number(args[at])
	if !ok || keys < 1 || keys > int64(len(args)-at-2) {
		return n, false
	}
	n.Key, n.Last, n.Step = int16(at+1), int16(at)+int16(keys), 1
	from := int(n.Last) + 1
	tail, ok := side(args[from])
	if tail {
		n.Opts |= Tail
	}
	switch {
	case len(args) == from+1:
	case len(args) == from+3 && foldEqual(textOf(args[from+1]), "count"):
		n.At = int16(from + 2)
	default:
		return n, false
	}
	return n, ok
}

func judgeMove(n Note, args []any) (Note, bool) {
	tail, ok1 := side(args[3])
	toTail, ok2 := side(args[4])
	if tail {
		n.Opts |= Tail
	}
	if toTail {
		n.Opts |= ToTail
	}
	return n, ok1 && ok2
}

// side reports whether a word means the tail of a list, or the highest of a sorted set.
func side(v any) (tail, ok bool) {
	o := textOf(v)
	tail = foldEqual(o, "right") || foldEqual(o, "max")
	return tail, tail || foldEqual(o, "left") || foldEqual(o, "min")
}

func judgeHSetEx(n Note, args []any) (Note, bool) { return fieldOptions(n, args) }

// judgeHGetEx tells the one that only reads from those that change the fields' deadlines.
func judgeHGetEx(n Note, args []any) (Note, bool) {
	if foldEqual(textOf(args[2]), "fields") {
		return n, true
	}
	return fieldOptions(one(Note{Code: NoteDeadlines}), args)
}

// fieldOptions reads what stands before FIELDS.
func fieldOptions(n Note, args []any) (Note, bool) {
	for i := 2; i < len(args); i++ {
		o := textOf(args[i])
		if opts, ok := lifetime(o); ok {
			n.Code, n.Opts, n.Option, n.At = NoteFields, opts, int16(i), int16(i+1)
			i++
			continue
		}
		switch {
		case foldEqual(o, "fields"):
			return n, true
		case foldEqual(o, "fnx"), foldEqual(o, "fxx"), foldEqual(o, "keepttl"), foldEqual(o, "persist"):
		default:
			return n, false
		}
	}
	return n, false
}
