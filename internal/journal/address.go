package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
)

// Address is a hash of where a primary is, which says nothing of it but whether it is the same.
func Address(network, addr string) string {
	sum := sha256.Sum256([]byte(network + " " + NormalAddr(addr)))
	return hex.EncodeToString(sum[:8])
}

// NormalAddr writes host:port in one way: the names of this host are one.
func NormalAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch strings.ToLower(host) {
	case "", "localhost", "::1":
		host = "127.0.0.1"
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}
