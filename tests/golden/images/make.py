"""Makes the pictures of this folder and what OpenCV reads from them.
usage: python make.py   (opencv-python-headless 4.11.0.86, pillow, numpy)"""
import json, os, struct, zlib
import cv2, numpy as np
from PIL import Image

r = np.random.RandomState(0)
base = cv2.resize(r.randint(0, 256, (5, 6, 3)).astype(np.uint8), (23, 17), interpolation=cv2.INTER_CUBIC)
im = Image.fromarray(base)

def exif(o):
    e = Image.Exif()
    e[0x0112] = o
    return e

def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

def png(data, before=b'', after=b'', interlace=0):
    h, w = base.shape[:2]
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, interlace)) + before + \
        chunk(b'IDAT', zlib.compress(data)) + after + chunk(b'IEND', b'')

def rows(a):
    return b''.join(b'\0' + a[y].tobytes() for y in range(a.shape[0])) if a.size else b''

def put(name, data):
    with open(name, 'wb') as f:
        f.write(data)

for o in (0, 2, 3, 4, 5, 6, 7, 8, 9):
    im.save(f'exif{o}.jpg', exif=exif(o), quality=90)
im.save('exif6.png', exif=exif(6))
for s in (0, 1, 2):
    im.save(f'subsampling{s}.jpg', subsampling=s, quality=85)
im.save('progressive.jpg', quality=85, progressive=True)
cv2.imwrite('subsampling440.jpg', base, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440])
cv2.imwrite('restart.jpg', base, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])
im.convert('L').save('grey.jpg')
im.convert('CMYK').save('cmyk.jpg', quality=90)
whole = open('subsampling0.jpg', 'rb').read()
put('truncated.jpg', whole[:int(len(whole) * 0.85)])
im.convert('L').save('grey.png')
im.convert('1').save('bit1.png')
im.quantize(4).save('palette2.png')
im.quantize(16).save('palette4.png', transparency=bytes([0, 128, 255]))
alpha = r.randint(0, 256, base.shape[:2]).astype(np.uint8)
Image.fromarray(np.dstack([base, alpha])).save('alpha.png')
Image.fromarray(np.dstack([base, alpha])).convert('LA').save('grey_alpha.png')
im.save('transparent.png', transparency=tuple(int(v) for v in base[0, 0]))
cv2.imwrite('rgb16.png', r.randint(0, 65536, (9, 11, 3)).astype(np.uint16))
cv2.imwrite('grey16.png', r.randint(0, 65536, (9, 11)).astype(np.uint16))
put('gamma.png', png(rows(base), before=chunk(b'gAMA', struct.pack('>I', 100000))))
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
put('interlaced.png', png(b''.join(rows(base[y::b, x::a]) for x, y, a, b in passes), interlace=1))
e = exif(6).tobytes()
put('exif_late.png', png(rows(base), after=chunk(b'eXIf', e[6:] if e.startswith(b'Exif') else e)))

expected = {}
for name in sorted(os.listdir('.')):
    if name.endswith(('.jpg', '.png')):
        a = cv2.imread(name, cv2.IMREAD_COLOR)[:, :, ::-1]
        expected[name] = {'width': a.shape[1], 'height': a.shape[0], 'crc32': zlib.crc32(a.tobytes())}
with open('expected.json', 'w') as f:
    json.dump(expected, f, indent=2)
    f.write('\n')
