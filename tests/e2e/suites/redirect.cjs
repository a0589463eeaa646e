'use strict'
// Preloaded into a suite that expects its broker on localhost:5672: those connections go to the broker under
// test ($AMQP_URL; IPv6 ones to $AMQP_IPV6_PORT, where the broker listens there), all others where they want.

const net = require('node:net')

const {hostname, port} = new URL(process.env.AMQP_URL)
const connect = net.connect

function redirected(options) {
  if (typeof options !== 'object' || Number(options.port ?? 5672) !== 5672) return options
  if (options.host === '::1' && process.env.AMQP_IPV6_PORT) return {...options, port: Number(process.env.AMQP_IPV6_PORT)}
  return {...options, host: hostname, port: Number(port || 5672)}
}

net.connect = net.createConnection = (options, ...rest) => connect(redirected(options), ...rest)
