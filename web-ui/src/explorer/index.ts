export { explorerRoutes } from './routes.ts'
