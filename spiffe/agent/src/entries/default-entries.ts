/** The entries that a first start writes down, for the suite: comments and all, because people edit this file. */
export const DEFAULT_ENTRIES = `# Who gets which identity from the SPIFFE agent. The agent notices a change at once; so do the streams of the workloads.
#
# A workload gets the SPIFFE ID of every entry whose selectors all hold for it:
#   socket:NAME       it came through the socket NAME, which only its owner can open
#   unix:user:NAME    it runs as this user; also unix:uid, unix:group, unix:gid, unix:path
#                     (ATTESTATION=peercred: the kernel says who is at the other end of the shared socket)
#
# The proxy has the server's identity, so that it is transparent to the client.
entries:
  - id: server
    spiffeId: spiffe://example.org/server
    selectors: [socket:server]
  - id: proxy
    spiffeId: spiffe://example.org/server
    selectors: [socket:proxy]
  - id: client
    spiffeId: spiffe://example.org/client
    selectors: [socket:client]
  - id: service-a
    spiffeId: spiffe://example.org/service-a
    selectors: [socket:service-a]

  # Known, but on nobody's list: its tokens are good, and the server answers 403.
  - id: stranger
    spiffeId: spiffe://example.org/stranger
    selectors: [socket:stranger]

  # The users of the original example.
  - id: server-workload
    spiffeId: spiffe://example.org/server
    selectors: [unix:user:server-workload]
  - id: client-workload
    spiffeId: spiffe://example.org/client
    selectors: [unix:user:client-workload]

# Foreign trust domains that workloads may trust (an entry asks for one with "federatesWith: [other.org]"):
# federation:
#   - trustDomain: other.org
#     endpointUrl: https://localhost:9447/
#     profile: https_spiffe
#     endpointSpiffeId: spiffe://other.org/spiffe-agent
#     bundleFile: other.org.json     # the first bundle, carried over by hand: "bundle show" prints it
`
