# Ricci as an image: docker build -t ricci . && docker run -p 127.0.0.1:5555:5555 -p 127.0.0.1:5556:5556 -v ricci:/var/lib/ricci \
#   -v ./ricci.yaml:/etc/ricci/ricci.yaml:ro -v ./rules:/etc/ricci/rules:ro ricci
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci --no-audit --no-fund && npm run -s package

FROM node:24-bookworm-slim
COPY --from=build /src/.build/packages/*.tgz /packages/
# typescript checks the types of rules before they take effect
RUN npm install --global --no-audit --no-fund /packages/*.tgz typescript@6.0.3 \
  && npm cache clean --force && rm -rf /packages \
  && mkdir -p /etc/ricci/rules /var/lib/ricci \
  && chown node:node /var/lib/ricci
USER node
# ricci keeps its data in $XDG_STATE_HOME/ricci
ENV NODE_ENV=production XDG_STATE_HOME=/var/lib
WORKDIR /etc/ricci
VOLUME /var/lib/ricci
EXPOSE 5555/tcp 5555/udp 5556/tcp
# that its loops turn; one that waits for brokers is healthy, and an orchestrator that restarts it would help nobody
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:5556/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["ricci"]
CMD ["serve", "--config", "/etc/ricci/ricci.yaml"]
