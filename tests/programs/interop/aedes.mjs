// Runs the broker of the module that is named first, on the port of the loopback interface that is named second.
import { createServer } from 'node:net'
import { pathToFileURL } from 'node:url'

const [module, port] = process.argv.slice(2)
const { Aedes } = await import(pathToFileURL(module))
const broker = await Aedes.createBroker()
createServer(broker.handle).listen(Number(port), '127.0.0.1')
