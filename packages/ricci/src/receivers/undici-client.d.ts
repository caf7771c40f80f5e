/** undici has types for its index alone. */
declare module 'undici/lib/dispatcher/client.js' {
  export { Client as default } from 'undici'
}
