// A peer for the tests and the benchmark of packages/spiffe: go-spiffe, the reference, as a client, as a server
// and as a Workload API. It is built in a temporary module by ../../src/testing/go-peer.ts.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

func main() {
	// Longer than any test or benchmark: a peer whose parent was killed ends on its own.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	commands := map[string]func(context.Context, []string) error{
		"fetch":          fetch,
		"serve":          serve,
		"dial":           dial,
		"workload-api":   serveWorkloadAPI,
		"verdicts":       verdicts,
		"bench-validate": benchValidate,
		"bench-fetch":    benchFetch,
		"bench-source":   benchSource,
		"bench-server":   benchServer,
		"bench-proxy":    benchProxy,
		"bench-load":     benchLoad,
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fetch calls every method of the Workload API and prints the responses: fetch <audience>
func fetch(ctx context.Context, args []string) error {
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	x509, err := client.FetchX509Context(ctx)
	if err != nil {
		return err
	}
	bundles, err := client.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	jwt, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: args[0]})
	if err != nil {
		return err
	}
	jwtBundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	validated, err := client.ValidateJWTSVID(ctx, jwt.Marshal(), args[0])
	if err != nil {
		return err
	}
	verified, err := jwtsvid.ParseAndValidate(jwt.Marshal(), jwtBundles, args)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"x509":       x509.DefaultSVID().ID.String(),
		"hint":       x509.DefaultSVID().Hint,
		"bundles":    bundles.Len(),
		"federated":  x509.Bundles.Len(),
		"jwt":        jwt.ID.String(),
		"jwtBundles": jwtBundles.Len(),
		"validated":  validated.ID.String(),
		"verified":   verified.ID.String(),
	})
}

// serve answers ten mutual TLS connections with the ID of the peer
func serve(ctx context.Context, _ []string) error {
	listener, err := spiffetls.Listen(ctx, "tcp", "127.0.0.1:0", tlsconfig.AuthorizeAny())
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for i := 0; i < 10; i++ {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		if conn.(interface{ Handshake() error }).Handshake() == nil {
			id, _ := spiffetls.PeerIDFromConn(conn)
			fmt.Fprintln(conn, id)
		}
		conn.Close()
	}
	return nil
}

// dial prints the ID of a server and the line that it sends: dial <address>
func dial(ctx context.Context, args []string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	conn, err := tls.Dial("tcp", args[0], tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeAny()))
	if err != nil {
		return err
	}
	defer conn.Close()
	id, err := x509svid.IDFromCert(conn.ConnectionState().PeerCertificates[0])
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Printf("%s %s", id, line)
	return nil
}

// answers contains the exact responses of serveWorkloadAPI
type answers struct {
	SpiffeID, Token, Socket string
	SVID, Key, Bundle, JWKS []byte
}

type fake struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	answers
}

func (f *fake) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("workload.spiffe.io"); len(values) != 1 || values[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return nil
}

func (f *fake) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	if err := f.check(stream.Context()); err != nil {
		return err
	}
	err := stream.Send(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{{
		SpiffeId: f.SpiffeID, X509Svid: f.SVID, X509SvidKey: f.Key, Bundle: f.Bundle, Hint: "internal",
	}}})
	<-stream.Context().Done()
	return err
}

func (f *fake) FetchX509Bundles(_ *workload.X509BundlesRequest, stream workload.SpiffeWorkloadAPI_FetchX509BundlesServer) error {
	err := stream.Send(&workload.X509BundlesResponse{Bundles: map[string][]byte{"spiffe://example.org": f.Bundle}})
	<-stream.Context().Done()
	return err
}

func (f *fake) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream workload.SpiffeWorkloadAPI_FetchJWTBundlesServer) error {
	err := stream.Send(&workload.JWTBundlesResponse{Bundles: map[string][]byte{"spiffe://example.org": f.JWKS}})
	<-stream.Context().Done()
	return err
}

func (f *fake) FetchJWTSVID(_ context.Context, req *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if len(req.Audience) == 0 {
		return nil, status.Error(codes.InvalidArgument, "audience must be specified")
	}
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{{SpiffeId: f.SpiffeID, Svid: f.Token}}}, nil
}

func (f *fake) ValidateJWTSVID(_ context.Context, req *workload.ValidateJWTSVIDRequest) (*workload.ValidateJWTSVIDResponse, error) {
	if req.Audience != "audience" {
		return nil, status.Errorf(codes.InvalidArgument, "expected audience in [%q] (audience=[\"ümläut 100 %%\"])", req.Audience)
	}
	claims, err := structpb.NewStruct(map[string]any{
		"sub": f.SpiffeID, "aud": []any{"audience"}, "exp": 4e9, "nested": map[string]any{"list": []any{nil, true, 1.5}},
	})
	return &workload.ValidateJWTSVIDResponse{SpiffeId: f.SpiffeID, Claims: claims}, err
}

// serveWorkloadAPI is a Workload API on grpc-go; it reads its answers from standard input
func serveWorkloadAPI(ctx context.Context, _ []string) error {
	server := &fake{}
	if err := json.NewDecoder(os.Stdin).Decode(&server.answers); err != nil {
		return err
	}
	listener, err := net.Listen("unix", server.Socket)
	if err != nil {
		return err
	}
	grpcServer := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(grpcServer, server)
	go func() { <-ctx.Done(); grpcServer.Stop() }()
	fmt.Println("READY")
	return grpcServer.Serve(listener)
}

// question is a token and the validator's audience; bundle is a JWK Set of example.org
type question struct {
	Tokens   []string
	Audience []string
	JWKS     json.RawMessage
}

func readQuestion() (question, *jwtbundle.Bundle, error) {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return asked, nil, err
	}
	bundle, err := jwtbundle.Parse(spiffeid.RequireTrustDomainFromString("example.org"), asked.JWKS)
	return asked, bundle, err
}

// verdicts prints the result of ParseAndValidate for each token: an ID or an error
func verdicts(_ context.Context, _ []string) error {
	asked, bundle, err := readQuestion()
	if err != nil {
		return err
	}
	said := make([]string, 0, len(asked.Tokens))
	for _, token := range asked.Tokens {
		if svid, err := jwtsvid.ParseAndValidate(token, bundle, asked.Audience); err != nil {
			said = append(said, err.Error())
		} else {
			said = append(said, svid.ID.String())
		}
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// benchValidate prints validations per second on one core: bench-validate <seconds>
func benchValidate(_ context.Context, args []string) error {
	asked, bundle, err := readQuestion()
	if err != nil {
		return err
	}
	return measure(args[0], func() error {
		_, err := jwtsvid.ParseAndValidate(asked.Tokens[0], bundle, asked.Audience)
		return err
	})
}

// benchFetch prints FetchJWTSVID calls per second: bench-fetch <seconds> <concurrent calls>
func benchFetch(ctx context.Context, args []string) error {
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return measureAtOnce(args[0], args[1], func() error {
		_, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "audience"})
		return err
	})
}

// benchSource prints the JWT-SVIDs per second of a JWTSource: bench-source <seconds>
func benchSource(ctx context.Context, args []string) error {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	return measure(args[0], func() error {
		_, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "audience"})
		return err
	})
}

const serverID = "spiffe://example.org/server"

// benchServer is the server of the example spiffe-jwt-using-proxy, on a free port that it prints
func benchServer(ctx context.Context, _ []string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	keys, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		return err
	}
	return listenTLS(source, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fields := strings.Fields(req.Header.Get("Authorization"))
		if len(fields) != 2 || fields[0] != "Bearer" {
			http.Error(w, "Invalid or unsupported authorization header", http.StatusUnauthorized)
			return
		}
		if _, err := jwtsvid.ParseAndValidate(fields[1], keys, []string{serverID}); err != nil {
			log.Printf("Invalid token: %v", err)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		log.Println("Request received")
		_, _ = io.WriteString(w, "Success!!!")
	}))
}

// benchProxy is the proxy of the example, in front of a server: bench-proxy <url>
func benchProxy(ctx context.Context, args []string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	target, err := url.Parse(args[0])
	if err != nil {
		return err
	}
	id := spiffeid.RequireFromString(serverID)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: tlsconfig.TLSClientConfig(source, tlsconfig.AuthorizeID(id))}
	return listenTLS(source, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		log.Println(req.Method, req.URL)
		proxy.ServeHTTP(w, req)
	}))
}

func listenTLS(source *workloadapi.X509Source, handler http.Handler) error {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.TLSServerConfig(source))
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// benchLoad prints requests per second through a proxy: bench-load <seconds> <connections> <url>
func benchLoad(ctx context.Context, args []string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	svid, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: serverID})
	if err != nil {
		return err
	}
	connections, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	web := &http.Client{Transport: &http.Transport{
		TLSClientConfig:     tlsconfig.TLSClientConfig(source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(serverID))),
		MaxIdleConnsPerHost: connections,
	}}
	return measureAtOnce(args[0], args[1], func() error {
		req, err := http.NewRequestWithContext(ctx, "GET", args[2], nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+svid.Marshal())
		res, err := web.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "Success!!!" {
			return fmt.Errorf("%s: %s %v", res.Status, body, err)
		}
		return nil
	})
}

func measure(seconds string, once func() error) error {
	return measureAtOnce(seconds, "1", once)
}

func measureAtOnce(seconds, atOnce string, once func() error) error {
	duration, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return err
	}
	loops, err := strconv.Atoi(atOnce)
	if err != nil {
		return err
	}
	started := time.Now()
	var count atomic.Int64
	failed := make(chan error, loops)
	for i := 0; i < loops; i++ {
		go func() {
			for time.Since(started).Seconds() < duration {
				if err := once(); err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
			failed <- nil
		}()
	}
	for i := 0; i < loops; i++ {
		if err := <-failed; err != nil {
			return err
		}
	}
	fmt.Printf("%.0f\n", float64(count.Load())/time.Since(started).Seconds())
	return nil
}
