// Keeps the page up to date. What it shows was made by the server: sections that have changed, as events, or
// the whole page where no stream can be had.
'use strict';

const live = document.getElementById('live');
const again = 5000; // ms
let last = Date.now();

// morph makes one tree like another, in place, so that a selection, the focus and a scroll position stay.
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(document.importNode(to, true));
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  const old = [...from.childNodes];
  const now = [...to.childNodes];
  now.forEach((node, i) => (i < old.length ? morph(old[i], node) : from.append(document.importNode(node, true))));
  old.slice(now.length).forEach((node) => node.remove());
}

function show(html) {
  for (const section of new DOMParser().parseFromString(html, 'text/html').querySelectorAll('section')) {
    const here = document.getElementById(section.id);
    if (here) morph(here, section);
  }
  document.title = document.getElementById('state').dataset.title;
  last = Date.now();
  tell('live', false);
}

// tell says whether the page can be believed; a page that is out of date must not look like one that is not.
function tell(text, lost) {
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle('lost', lost);
}

async function fetchPage() {
  try {
    const reply = await fetch('.', { cache: 'no-store' });
    if (reply.ok) show(await reply.text());
  } catch {
    // tell says so below
  }
}

function connect() {
  const events = new EventSource('events');
  events.onmessage = (e) => show(Object.values(JSON.parse(e.data)).join(''));
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) return; // it connects again by itself
    events.close();
    fetchPage();
    setTimeout(connect, again);
  };
}

setInterval(() => {
  const seconds = Math.round((Date.now() - last) / 1000);
  if (seconds > 7) tell(`no answer from the program for ${seconds} s: what is below is that old`, true);
}, 1000);
connect();
