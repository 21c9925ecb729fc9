/** Returns the host of a URL in the form that sockets expect: an IPv6 address without its brackets (RFC 3986 §3.2.2). */
export const socketHost = ({ hostname }: { readonly hostname: string }): string =>
  hostname.replace(/^\[(.*)\]$/, '$1')
