/** Returns the host of a URL as sockets take it: an IPv6 address without the brackets that it has in a URL (RFC 3986 §3.2.2). */
export const socketHost = ({ hostname }: { readonly hostname: string }): string =>
  hostname.replace(/^\[(.*)\]$/, '$1')
