// What the suite uses of undici, without the rest of it (request, fetch, WebSocket, caches, …): 5 MB less for every process.
module.exports = { Pool: require('undici/lib/dispatcher/pool.js') }
