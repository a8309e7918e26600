# syntax=docker/dockerfile:1
# One image for every part of the project; the command says which: `controller`, `simulators`.

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The base image brings Node, so the optional binary packages stay out.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY deploy ./deploy
COPY providers ./providers
COPY simulators ./simulators
COPY src ./src
USER node
EXPOSE 9963
STOPSIGNAL SIGTERM
# Answers for the controller; the other services of docker-compose.yml bring their own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9963/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/berth.mjs"]
CMD ["controller"]
