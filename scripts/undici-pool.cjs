// What the kit uses of undici, without the rest of it (fetch, WebSocket, caches, …): 5 MB less for every process.
const Dispatcher = require('undici/lib/dispatcher/dispatcher.js')
const request = require('undici/lib/api/api-request.js')

// The package's own index gives every dispatcher its verbs; only this one is called.
Object.assign(Dispatcher.prototype, { request })

module.exports = { Pool: require('undici/lib/dispatcher/pool.js') }
