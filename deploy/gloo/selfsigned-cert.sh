#!/bin/sh
# Makes a self-signed certificate for webuitest.com, for a cluster on your own machine.
#   ./selfsigned-cert.sh              makes it and prints the next command
#   . ./selfsigned-cert.sh            the same, and sets SERVER_CERT_NAME in your shell for the next command
# Set SERVER_CERT_NAME and DOMAIN to use other names.
: "${SERVER_CERT_NAME:=webuitest.com}" "${DOMAIN:=webuitest.com}"
export SERVER_CERT_NAME
# In a subshell, so that sourcing this file does not change the umask of the user's shell.
if (
  umask 077
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -sha256 -noenc -days 90 \
    -keyout "$SERVER_CERT_NAME.key" -out "$SERVER_CERT_NAME.crt" -subj "/CN=$DOMAIN" \
    -addext "subjectAltName=DNS:$DOMAIN,DNS:*.$DOMAIN" \
    -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth" 2>/dev/null
); then
  echo "made $SERVER_CERT_NAME.crt and $SERVER_CERT_NAME.key; next:"
  echo "  export SERVER_CERT_NAME=$SERVER_CERT_NAME"
else
  echo "openssl could not make the certificate" >&2
  false
fi
