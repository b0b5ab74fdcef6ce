// A server whose PATCHes go through one limiter of npm, keyed by the Authorization header.
// Arguments: the limiter's name, and the port.
'use strict';

const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { RateLimiterMemory } = require('rate-limiter-flexible');

const key = (request) => request.get('authorization') ?? '';

function flexible(options) {
  const limiter = new RateLimiterMemory(options);
  return (request, response, next) =>
    limiter.consume(key(request)).then(
      () => next(),
      (refusal) => response.set('Retry-After', String(Math.ceil(refusal.msBeforeNext / 1000))).status(429).end(),
    );
}

const limiters = {
  'express-rate-limit': () =>
    rateLimit({ windowMs: 3000, limit: 15, keyGenerator: key, standardHeaders: 'draft-8', legacyHeaders: true }),
  'flexible': () => flexible({ points: 10, duration: 2 }),
  'flexible-block': () => flexible({ points: 10, duration: 2, blockDuration: 5 }),
};

const [name, port] = process.argv.slice(2);
const api = express();
api.use(limiters[name]());
api.patch(/.*/, (request, response) => response.status(202).end());
const server = api.listen(Number(port), '127.0.0.1', 1024);
// A connection may idle for as long as a limiter has to be left alone.
server.keepAliveTimeout = 600_000;
