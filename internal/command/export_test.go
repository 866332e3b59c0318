package command

// Names returns the names of the whole table.
func Names() []string {
	var names []string
	for i := range generated {
		names = append(names, generated[i].name)
	}
	return names
}

// Classes returns the names of the table written by hand, with their classes. Those of commands with
// subcommands are 0.
func Classes() map[string]Class {
	m := map[string]Class{}
	for name, c := range byName {
		if c == container {
			c = 0
		}
		m[name] = c
	}
	return m
}

// JudgedNames returns the names of the commands whose Note depends on their arguments.
func JudgedNames() []string {
	var names []string
	for name := range judges {
		names = append(names, name)
	}
	return names
}
