package mirror

// ModuleOf is moduleOf.
var ModuleOf = moduleOf
