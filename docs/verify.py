#!/usr/bin/env python3
"""Checks veritail ledger files with Python's standard library alone: framing, hashes, links, sequence, Merkle roots;
with --mac-key each entry's MAC; with --public-key the genesis and each checkpoint's Ed25519 signature (RFC 8032).
usage: verify.py [--mac-key HEX_FILE] [--public-key VKEY_FILE] FILE.jsonl[.gz] ...   (oldest first; exit 0 intact, 1 not)
Rotated keys, damage in detail and several members in one .gz are for `veritail verify`."""
import base64, gzip, hashlib, hmac, json, re, sys
LINE = re.compile(rb'\{"v":1,"stream":"([\w.-]+)","seq":(0|[1-9]\d*),"prev_hash":"([0-9a-f]{64})","recorded_at":"[^"\\]{27}",'
                  rb'"key_id":"([\w.-]+)","event_type":".+,"chain_hash":"([0-9a-f]{64})","signature":"([0-9a-f]{64})"\}')
P, D, BASE_Y = 2**255 - 19, -121665 * pow(121666, -1, 2**255 - 19), 4 * pow(5, -1, 2**255 - 19) % (2**255 - 19)
sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
def need(truth, why):
    if not truth: raise ValueError(why)
def add(a, b):  # two points of the curve
    k = D * a[0] * b[0] * a[1] * b[1]
    return (a[0]*b[1] + b[0]*a[1]) * pow(1 + k, -1, P) % P, (a[1]*b[1] + a[0]*b[0]) * pow(1 - k, -1, P) % P
def times(n, point): return (0, 1) if n == 0 else add(times(n - 1, point), point) if n & 1 else times(n >> 1, add(point, point))
def point(raw):  # decompresses: x from y and x's lowest bit
    y = int.from_bytes(raw, "little") % 2**255
    x2 = (y*y - 1) * pow(D*y*y + 1, -1, P) % P
    x = next((x for x in (pow(x2, (P+3) // 8, P) * r % P for r in (1, pow(2, (P-1) // 4, P))) if x*x % P == x2), None)
    need(x is not None, "no point of the curve")
    return (P - x if x & 1 != raw[31] >> 7 else x), y
def signed(key, sig, text):
    k = int.from_bytes(hashlib.sha512(sig[:32] + key + text).digest(), "little")
    return times(int.from_bytes(sig[32:], "little"), point(BASE_Y.to_bytes(32, "little"))) == add(point(sig[:32]), times(k, point(key)))
def once(pairs):
    return need(len(pairs) == len(dict(pairs)), "duplicate member") or dict(pairs)
args, keys, prev, tree, seq, closed, sealed, number = sys.argv[1:], {}, None, None, 0, True, 0, 0
while args[:1] and args[0] in ("--mac-key", "--public-key"):
    keys[args[0]], args = open(args[1]).read().strip(), args[2:]
vkey, master = keys.get("--public-key"), bytes.fromhex(keys.get("--mac-key", ""))
for name in args or sys.exit(__doc__):
    try:
        need(closed, "the file before has no segment_close")
        for number, line in enumerate((gzip.open if name.endswith(".gz") else open)(name, "rb"), 1):
            match = LINE.fullmatch(line[:-1])
            need(match and line[-1:] == b"\n", "malformed or torn")
            (stream, n, before, key_id, stated, mac_hex), entry = match.groups(), json.loads(line, object_pairs_hook=once)
            if prev is None:  # the first line of all: the frontier stands for what came before
                prev, seq, tree = bytes.fromhex(before.decode()), int(n), [(at, bytes.fromhex(h)) for at, h in entry["frontier"]]
                need(seq or not vkey or prev == sha(b"veritail/genesis/v1\n", stream, b"\n", vkey.encode()), "not the genesis")
            need(sha(line[:-161]).hex().encode() == stated, "edited")
            need(int(n) == seq and before == prev.hex().encode(), "missing, moved or inserted")
            key = hmac.digest(master, b"mac\n" + stream + b"\n" + key_id, "sha256")
            need(not master or hmac.digest(key, stated, "sha256").hex().encode() == mac_hex, "forged")
            need(entry["event_type"] != "segment_open" or entry["frontier"] == [[at, h.hex()] for at, h in tree], "frontier")
            closed = entry["event_type"] == "segment_close"
            if closed or entry["event_type"] == "checkpoint":
                root, (text, seal) = tree[-1][1], entry["note"].rsplit("\n\n", 1)
                for _, left in tree[-2::-1]: root = sha(b"\1", left, root)
                need(text.split("\n") == [stream.decode(), str(seq), base64.b64encode(root).decode()], "checkpoint mismatch")
                need(not vkey or signed(*(base64.b64decode(part)[skip:] for part, skip in
                     ((vkey.split("+", 2)[-1], 1), (seal.split(" ")[2], 4))), text.encode() + b"\n"), "bad signature")
                sealed = seq + 1
            prev, seq, at, leaf = sha(line[:-161]), seq + 1, 0, sha(b"\0", sha(line[:-161]))
            while tree and tree[-1][0] == at: at, leaf = at + 1, sha(b"\1", tree.pop()[1], leaf)
            tree.append((at, leaf))
    except (ValueError, KeyError, EOFError, OSError) as why: sys.exit(f"NOT INTACT: {name}: line {number}: {why}")
print(f"intact up to seq {seq - 1}; {seq - sealed} entries after the last checkpoint; head {prev.hex()}")
