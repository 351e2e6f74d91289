import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The repository's root folder. */
export const rootFolder = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Files that git tracks or would track (not ignored), as paths from the root, sorted. */
export function projectFiles(): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: rootFolder,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return [...new Set(listed.split("\n"))]
    .filter((path) => path !== "" && existsSync(join(rootFolder, path)))
    .sort();
}

/** TypeScript sources of ours, tests included, fixtures and generated files excluded. */
export function sourceFiles(): readonly string[] {
  return projectFiles().filter(
    (path) => /\.tsx?$/.test(path) && !path.includes("/fixtures/") && !path.includes("/generated/"),
  );
}

/** True for tests, fuzzers and benchmarks that stand beside the code, and all below test/. */
export function isTest(path: string): boolean {
  return path.startsWith("test/") || /\.(test|fuzz|bench)\.tsx?$/.test(path);
}

/** Content of a file of the repository. */
export function textOf(path: string): string {
  return readFileSync(join(rootFolder, path), "utf8");
}

/** Syntax tree of a source text; positions only, no types. */
export function parse(path: string, text: string): ts.SourceFile {
  const kind = path.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2024, true, kind);
}

/** Calls `visit` for every node below and including `node`. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** 1-based line of a position. */
export function lineOf(file: ts.SourceFile, position: number): number {
  return file.getLineAndCharacterOfPosition(position).line + 1;
}

/** Module names that a file imports or re-exports, dynamic imports with literal names included. */
export function importsOf(file: ts.SourceFile): readonly string[] {
  const names: string[] = [];
  walk(file, (node) => {
    const literal = moduleLiteral(node);
    if (literal !== undefined && ts.isStringLiteralLike(literal)) names.push(literal.text);
  });
  return names;
}

function moduleLiteral(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return node.arguments[0];
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return ts.isStringLiteral(node.argument.literal) ? node.argument.literal : undefined;
  }
  return undefined;
}
