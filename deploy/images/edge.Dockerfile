# An edge: one bundled file and the built page on a Node image without shell or package manager.
# Build both first: node deploy/node.mjs deploy/images/bundle.ts edge
# Node 26 wants libatomic; the distroless images of 26 and later have it. Any image with Node 26 will do.
ARG BASE_IMAGE=gcr.io/distroless/nodejs26-debian13:nonroot
FROM ${BASE_IMAGE}
COPY --chown=0:0 --chmod=0444 dist/edge.js /app/edge.js
COPY --chown=0:0 dist/web /app/web
WORKDIR /app
USER 65532:65532
ENV NODE_ENV=production
# Where distroless has Node, then where others have it.
ENV PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
EXPOSE 8080 8082
ENTRYPOINT ["node", "--disable-proto=throw", "/app/edge.js"]
