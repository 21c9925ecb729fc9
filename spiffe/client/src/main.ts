import { callServer } from './app.ts'
import { loadConfig } from './config.ts'

/** Calls the server. The first argument is the audience of the token; by default the server's SPIFFE ID. */
async function main([audience]: readonly string[]): Promise<void> {
  console.log(await callServer(loadConfig(process.env), audience))
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
