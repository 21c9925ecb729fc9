// A peer for the tests of packages/x509: Go's crypto/x509 reads certificates and builds their paths. It reads chains as
// JSON lines from standard input, and answers each with a line. ../../src/go-x509.peer.ts builds it in a temporary
// module.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"time"
)

type chain struct {
	At            int64    `json:"at"`
	Server        bool     `json:"server"`
	Leaf          []byte   `json:"leaf"`
	Intermediates [][]byte `json:"intermediates"`
	Anchors       [][]byte `json:"anchors"`
}

type answer struct {
	Error       string   `json:"error"`
	Readable    bool     `json:"readable"`
	Subject     string   `json:"subject"`
	Issuer      string   `json:"issuer"`
	NotBefore   int64    `json:"notBefore"`
	NotAfter    int64    `json:"notAfter"`
	DNSNames    []string `json:"dnsNames"`
	URIs        []string `json:"uris"`
	IsCA        bool     `json:"isCa"`
	PathLength  int      `json:"pathLength"`
	KeyUsage    int      `json:"keyUsage"`
	KeyID       string   `json:"keyIdentifier"`
	Fingerprint string   `json:"fingerprint"`
}

func pool(certificates [][]byte) *x509.CertPool {
	all := x509.NewCertPool()
	for _, der := range certificates {
		if certificate, err := x509.ParseCertificate(der); err == nil {
			all.AddCert(certificate)
		}
	}
	return all
}

func judge(one chain) answer {
	leaf, err := x509.ParseCertificate(one.Leaf)
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := answer{
		Readable:  true,
		Subject:   hex.EncodeToString(leaf.RawSubject),
		Issuer:    hex.EncodeToString(leaf.RawIssuer),
		NotBefore: leaf.NotBefore.UnixMilli(),
		NotAfter:  leaf.NotAfter.UnixMilli(),
		DNSNames:  leaf.DNSNames,
		IsCA:      leaf.IsCA,
		KeyUsage:  int(leaf.KeyUsage),
		KeyID:     hex.EncodeToString(leaf.SubjectKeyId),
	}
	// Go uses -1 for a CA without a path length.
	found.PathLength = leaf.MaxPathLen
	if leaf.MaxPathLen == 0 && !leaf.MaxPathLenZero {
		found.PathLength = -1
	}
	for _, uri := range leaf.URIs {
		found.URIs = append(found.URIs, uri.String())
	}
	sum := sha256.Sum256(leaf.Raw)
	found.Fingerprint = hex.EncodeToString(sum[:])
	usage := x509.ExtKeyUsageAny
	if one.Server {
		usage = x509.ExtKeyUsageServerAuth
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         pool(one.Anchors),
		Intermediates: pool(one.Intermediates),
		CurrentTime:   time.UnixMilli(one.At),
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		found.Error = err.Error()
	}
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var one chain
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			panic(err)
		}
		if err := out.Encode(judge(one)); err != nil {
			panic(err)
		}
	}
}
