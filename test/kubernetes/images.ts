import { existsSync } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Report } from "./build/binaries.ts";
import { contentHash } from "./content-hash.ts";
import { copySources } from "./dockerfile.ts";
import { cacheDir, repositoryDir } from "./paths.ts";
import { runCommand, tryCommand } from "./process/command.ts";
import { withLock } from "./process/lock.ts";

/** One image to build. */
export interface ImageSpec {
  /** Repository and tag with registry, such as docker.io/tigerchat/replica:dev. */
  readonly name: string;
  readonly dockerfile: string;
  /** Folder that COPY reads from. Only what the Dockerfile names is looked at. */
  readonly contextDir: string;
  readonly buildArguments?: Readonly<Record<string, string>>;
}

/** An image as an OCI archive in the cache. */
export interface ImageArchive {
  readonly name: string;
  readonly file: string;
}

/** What the base image consists of, all from Debian, next to the pinned Node. */
const basePackages = [
  "libc6",
  "libstdc++6",
  "libgcc-s1",
  "libatomic1",
  "ca-certificates",
  "netbase",
  "base-files",
];
const downloadTimeoutMs = 10 * 60_000;
const buildTimeoutMs = 5 * 60_000;
const lockTimeoutMs = 15 * 60_000;

/**
 * Makes the image that stands in for the distroless default of `ARG BASE_IMAGE`: Debian's libraries
 * and
 * Node at /usr/local/bin/node, nothing else. Returns the name to build with. Cached by its
 * ingredients.
 */
export function ensureBaseImage(report: Report): Promise<string> {
  return withLock(`images ${cacheDir()}`, lockTimeoutMs, async () => {
    const nodePackage = join(repositoryDir, "node_modules", `node-linux-${process.arch}`);
    const node = join(nodePackage, "bin", "node");
    const version = await readFile(join(nodePackage, "package.json"), "utf8");
    const release = await readFile("/etc/debian_version", "utf8").catch(() => "");
    const hash = await contentHash([...basePackages, release, version, "1"]);
    const name = `localhost/tigerchat/base:${hash.slice(0, 16)}`;
    if ((await tryCommand("buildah", [...storage(), "inspect", "--type=image", name])).code === 0) {
      return name;
    }
    report("Building the base image ...");
    await removeBaseImages();
    const context = await mkdtemp(join(tmpdir(), "tigerchat-base-"));
    try {
      await fillRoot(join(context, "root"), node);
      const dockerfile = join(context, "Dockerfile");
      await writeFile(dockerfile, "FROM scratch\nCOPY root/ /\n");
      await bud(name, dockerfile, context, {});
    } finally {
      await rm(context, { recursive: true, force: true });
    }
    return name;
  });
}

async function removeBaseImages(): Promise<void> {
  const list = ["images", "--noheading", "--format", "{{.Name}}:{{.Tag}}"];
  const names = (await runCommand("buildah", [...storage(), ...list])).split("\n");
  const ours = names.filter((name) => name.startsWith("localhost/tigerchat/base:"));
  if (ours.length > 0) await tryCommand("buildah", [...storage(), "rmi", "--force", ...ours]);
}

/**
 * Builds an image, or finds it in the cache when neither Dockerfile nor copied files nor arguments
 * changed.
 */
export async function buildImage(spec: ImageSpec, report: Report): Promise<ImageArchive> {
  const dockerfile = await readFile(spec.dockerfile, "utf8");
  const buildArguments = spec.buildArguments ?? {};
  const texts = [spec.name, dockerfile, JSON.stringify(buildArguments)];
  const hash = await contentHash(texts, spec.contextDir, copySources(dockerfile));
  const shortName = basename(spec.name).replace(":", "-");
  const file = join(cacheDir("images"), `${shortName}-${hash.slice(0, 16)}.tar`);
  const archive = { name: spec.name, file };
  if (existsSync(file)) return archive;
  await withLock(`images ${cacheDir()}`, lockTimeoutMs, async () => {
    if (existsSync(file)) return;
    const started = performance.now();
    await bud(spec.name, spec.dockerfile, spec.contextDir, buildArguments);
    await mkdir(cacheDir("images"), { recursive: true });
    const unfinished = `${file}.${process.pid}`;
    // Uncompressed: the archive only travels within this machine.
    const target = `oci-archive:${unfinished}:${spec.name}`;
    const push = ["push", "--quiet", "--disable-compression", spec.name, target];
    await runCommand("buildah", [...storage(), ...push], { timeoutMs: buildTimeoutMs });
    await rename(unfinished, file);
    await removeOlder(shortName, file);
    report(`Built ${spec.name} in ${Math.round((performance.now() - started) / 100) / 10} s.`);
  });
  return archive;
}

/** Builds an image of one static program and nothing else. */
export async function buildProgramImage(
  program: { readonly name: string; readonly file: string },
  report: Report,
): Promise<ImageArchive> {
  const context = await mkdtemp(join(tmpdir(), "tigerchat-image-"));
  try {
    await copyFile(program.file, join(context, "program"));
    await chmod(join(context, "program"), 0o755);
    const dockerfile = join(context, "Dockerfile");
    const text = 'FROM scratch\nCOPY program /program\nUSER 65532\nENTRYPOINT ["/program"]\n';
    await writeFile(dockerfile, text);
    return await buildImage({ name: program.name, dockerfile, contextDir: context }, report);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** buildah without daemon, user name spaces or overlay: slow for large trees, works everywhere. */
function storage(): string[] {
  const root = cacheDir("buildah");
  return ["--root", join(root, "root"), "--runroot", join(root, "run"), "--storage-driver", "vfs"];
}

async function bud(
  name: string,
  dockerfile: string,
  context: string,
  buildArguments: Readonly<Record<string, string>>,
): Promise<void> {
  const given = Object.entries(buildArguments).flatMap(([key, value]) => [
    "--build-arg",
    `${key}=${value}`,
  ]);
  const offline = ["--isolation", "chroot", "--pull-never"];
  const args = [
    "bud",
    "--quiet",
    ...offline,
    ...given,
    "--tag",
    name,
    "--file",
    dockerfile,
    context,
  ];
  await runCommand("buildah", [...storage(), ...args], { timeoutMs: buildTimeoutMs });
}

async function fillRoot(root: string, node: string): Promise<void> {
  const debs = `${root}.debs`;
  await mkdir(join(root, "usr", "local", "bin"), { recursive: true });
  await mkdir(debs);
  const download = ["download", "-q", ...basePackages];
  const options = { cwd: debs, timeoutMs: downloadTimeoutMs };
  // apt drops its privileges to a user who cannot write into our folder; as root it may stay.
  const asRoot = ["-o", "APT::Sandbox::User=root"];
  const first = await tryCommand("apt-get", [...asRoot, ...download], options);
  if (first.code !== 0) {
    await runCommand("apt-get", ["update", "-q"], options);
    await runCommand("apt-get", [...asRoot, ...download], options);
  }
  for (const deb of (await readdir(debs)).sort()) {
    await runCommand("dpkg", ["-x", join(debs, deb), root]);
  }
  await copyFile(node, join(root, "usr", "local", "bin", "node"));
  await chmod(join(root, "usr", "local", "bin", "node"), 0o755);
  for (const name of ["doc", "locale", "man"]) {
    await rm(join(root, "usr", "share", name), { recursive: true, force: true });
  }
  await writeAccounts(root);
}

async function writeAccounts(root: string): Promise<void> {
  const passwd =
    "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n";
  const group = "root:x:0:\nnonroot:x:65532:\n";
  await writeFile(join(root, "etc", "passwd"), passwd);
  await writeFile(join(root, "etc", "group"), group);
  await mkdir(join(root, "home", "nonroot"), { recursive: true });
}

async function removeOlder(shortName: string, keep: string): Promise<void> {
  const names = await readdir(cacheDir("images"));
  const older = names.filter((name) => name.startsWith(`${shortName}-`) && name !== basename(keep));
  for (const name of older) await rm(join(cacheDir("images"), name), { force: true });
  // Layers of images whose name has moved on.
  await tryCommand("buildah", [...storage(), "rmi", "--prune"]);
}
