'use strict'
// A reporter for `node --test` that writes one line a test: its outcome, and its full name.
//
// A test is named by the titles around it; the events tell only how deep each is nested, so the titles on
// the way down are remembered.

module.exports = async function * report(events) {
  const titles = []
  for await (const {type, data} of events) {
    if (type === 'test:start') {
      titles.length = data.nesting
      titles.push(data.name)
    } else if (type === 'test:pass' || type === 'test:fail') {
      if (data.details?.type === 'suite') continue
      const outcome = data.skip !== undefined || data.todo !== undefined ? 'skip' : type.slice('test:'.length)
      const name = [...titles.slice(0, data.nesting), data.name].join(' > ')
      yield `${outcome}\t${name.replace(/^\/.*\//, '')}\n`
      if (outcome === 'fail') process.stderr.write(`${name}: ${data.details?.error?.cause?.stack ?? data.details?.error}\n`)
    }
  }
}
