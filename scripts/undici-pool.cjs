// Only the pool of undici, without request, fetch, WebSocket, caches and others: saves 5 MB per process.
module.exports = { Pool: require('undici/lib/dispatcher/pool.js') }
