package mirror

// op is an operation in a buffer of Ops: its text is that of the buffer.
type op struct {
	kind    Kind
	db, key string
	args    []string
}

// decode gives each operation of a buffer to do, in one op that is used again.
func decode(text string, do func(o *op)) {
	var o op
	for len(text) > 0 {
		text = o.next(text)
		do(&o)
	}
}

// next reads one operation, and returns what follows it.
func (o *op) next(text string) string {
	o.kind = Kind(text[0])
	text = text[1:]
	o.db, text = prefixed(text)
	o.key, text = prefixed(text)
	n, text := uvarint(text)
	o.args = o.args[:0]
	for range n {
		var arg string
		arg, text = prefixed(text)
		o.args = append(o.args, arg)
	}
	return text
}

func prefixed(text string) (w, rest string) {
	n, text := uvarint(text)
	return text[:n], text[n:]
}

// uvarint reads what binary.AppendUvarint wrote.
func uvarint(text string) (n int, rest string) {
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		n |= int(text[i]&0x7f) << shift
		if text[i] < 0x80 {
			return n, text[i+1:]
		}
	}
}
