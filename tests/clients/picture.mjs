// A picture of a job summary as GitHub shows it, light and dark side by side:
// picture.mjs SUMMARY.md PICTURE.png (needs `tests/tools/install npm chromium`)

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const require = createRequire(join(process.env.NODE_PATH ?? '.', 'x.js'));
const { marked } = await import(require.resolve('marked'));
const [source, picture] = process.argv.slice(2);
const chart = /<pre><code class="language-mermaid">([\s\S]*?)<\/code><\/pre>/g;
const html = marked.parse(readFileSync(source, 'utf8'), { gfm: true }).replace(chart, '<pre class="mermaid">$1</pre>');

// GitHub's own colours and measures, as far as they are seen here.
const page = (dark) => `<!doctype html><meta charset="utf-8"><style>
  :root { --fg: ${dark ? '#f0f6fc' : '#1f2328'}; --bg: ${dark ? '#0d1117' : '#ffffff'}; --line: ${dark ? '#3d444d' : '#d1d9e0'}; --row: ${dark ? '#151b23' : '#f6f8fa'} }
  body { margin: 0; padding: 20px; width: 640px; font: 14px/1.5 "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif, "Noto Color Emoji"; color: var(--fg); background: var(--bg) }
  h2 { margin: 0 0 12px; padding-bottom: 6px; border-bottom: 1px solid var(--line) } h3 { margin: 18px 0 10px }
  table { border-collapse: collapse; margin: 12px 0 } td, th { border: 1px solid var(--line); padding: 4px 11px } tr:nth-child(2n) { background: var(--row) }
  code { background: var(--row); padding: 2px 4px; border-radius: 4px; font: 12px monospace } pre { white-space: pre-wrap } details { margin: 8px 0 }
  .mermaid svg { max-height: 300px }
</style><body class="markdown-body">${html}
<script src="file://${require.resolve('mermaid').replace(/dist\/.*$/, 'dist/mermaid.min.js')}"></script>
<script>mermaid.initialize({ startOnLoad: true, theme: '${dark ? 'dark' : 'default'}' });</script>`;

const dir = mkdtempSync(join(tmpdir(), 'picture-'));
for (const dark of [false, true]) writeFileSync(join(dir, `${dark}.html`), page(dark));
const height = Number(process.env.HEIGHT ?? 1400);
writeFileSync(join(dir, 'both.html'), `<!doctype html><style>body{margin:0;display:flex}iframe{border:0;width:680px;height:${height}px}</style><iframe src="false.html"></iframe><iframe src="true.html"></iframe>`);
const options = ['--headless', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files', '--hide-scrollbars', '--disable-lcd-text', '--force-device-scale-factor=0.82', '--virtual-time-budget=20000'];
execFileSync('chromium', [...options, `--user-data-dir=${join(dir, 'profile')}`, `--window-size=1360,${height}`, `--screenshot=${resolve(picture)}`, `file://${join(dir, 'both.html')}`], { stdio: 'pipe' });
