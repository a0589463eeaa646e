'use strict'
// For the examples that are pages: Chromium, and the programs beside it, which end with the script.

const {spawn} = require('node:child_process')
const {mkdtempSync, rmSync} = require('node:fs')
const {createServer} = require('node:net')
const {tmpdir} = require('node:os')
const {join} = require('node:path')
const {chromium} = require('playwright-core')

const started = []
process.on('exit', () => { for (const child of started) child.kill('SIGKILL') })

// A program once it has said a line that fits: {child, match}. Without a line: at once.
function start([program, ...args], env, line) {
  const child = spawn(program, args, {env: {...process.env, ...env}, stdio: ['ignore', 'pipe', 'inherit']})
  started.push(child)
  if (!line) return Promise.resolve({child})
  return new Promise((resolve, reject) => {
    child.once('exit', code => reject(new Error(`${[program, ...args].join(' ')} ended with ${code}`)))
    let said = ''
    child.stdout.on('data', data => {
      said += data
      const match = said.match(line)
      if (match) resolve({child, match})
    })
  })
}

function stop(child, signal = 'SIGTERM') {
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill(signal)
  return gone
}

async function withPage(use) {
  const profile = mkdtempSync(join(tmpdir(), 'linnet-page-'))
  const browser = await chromium.launchPersistentContext(profile, {executablePath: '/usr/bin/chromium', headless: false,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync']})
  try {
    await use(await browser.newPage())
  } finally {
    await browser.close()
    rmSync(profile, {recursive: true, force: true})
  }
}

const freePort = () => new Promise(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const {port} = server.address()
    server.close(() => resolve(port))
  })
})

module.exports = {freePort, start, stop, withPage}
