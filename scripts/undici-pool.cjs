// What the kit uses of undici, without the rest of it (fetch, WebSocket, caches, …): 5 MB less for every process.
const Dispatcher = require('undici/lib/dispatcher/dispatcher.js')
Object.assign(Dispatcher.prototype, require('undici/lib/api/index.js'))

module.exports = { Pool: require('undici/lib/dispatcher/pool.js') }
