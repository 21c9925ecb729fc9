/** The entries that the first start writes, with comments, because users edit this file. */
export const DEFAULT_ENTRIES = `# Which workload gets which identity from the SPIFFE agent. Changes take effect immediately, also for open streams.
#
# A workload gets the SPIFFE ID of every entry whose selectors all match:
#   socket:NAME       it connected through the socket NAME, which only its owner can open
#   unix:user:NAME    it runs as this user; also unix:uid, unix:group, unix:gid, unix:path
#                     (ATTESTATION=peercred: the kernel identifies the process on the shared socket)
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

  # Not on the server's list: its tokens are valid, but the server answers 403.
  - id: stranger
    spiffeId: spiffe://example.org/stranger
    selectors: [socket:stranger]

  # The users of the go-spiffe example.
  - id: server-workload
    spiffeId: spiffe://example.org/server
    selectors: [unix:user:server-workload]
  - id: client-workload
    spiffeId: spiffe://example.org/client
    selectors: [unix:user:client-workload]

# Other trust domains that workloads can trust (if their entry has "federatesWith: [other.org]"):
# federation:
#   - trustDomain: other.org
#     endpointUrl: https://localhost:9447/
#     profile: https_spiffe
#     endpointSpiffeId: spiffe://other.org/spiffe-agent
#     bundleFile: other.org.json     # the first bundle, copied by hand: "bundle show" prints it
`
