"""Writes src/view/raster/letters.ts: outlines of letters, for pictures that are drawn without a browser.

  /usr/bin/python3 tools/letters.py /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

Wants fontTools (Debian: python3-fonttools, fonts-dejavu-core).
"""

import base64
import struct
import sys

from fontTools.pens.basePen import decomposeQuadraticSegment
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

UNITS = 128  # of an em
CHARACTERS = (
    [chr(code) for code in range(0x20, 0x7F)]
    + [chr(code) for code in range(0xA0, 0x100) if code != 0xAD]
    + list("αβγδεζηθκλμνξπρσςτφχψωΔΣΩ−…–—‘’“”≤≥≈∞→×√✓✗�⁰⁴⁵⁶⁷⁸⁹⁻")
)

font = TTFont(sys.argv[1])
em = font["head"].unitsPerEm
names, glyphs = font.getBestCmap(), font.getGlyphSet()


def scaled(point):
    return tuple(round(part * UNITS / em) for part in point)


def contours(name):
    """Closed outlines as (control, end) pairs; a straight part has its end as control."""
    pen = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(pen)
    outline = []
    for verb, points in pen.value:
        if verb == "moveTo":
            outline.append([(scaled(points[0]), scaled(points[0]))])
        elif verb == "lineTo":
            outline[-1].append((scaled(points[0]), scaled(points[0])))
        elif verb == "qCurveTo" and points[-1] is None:
            # no point of the outline lies on it
            off = points[:-1]
            between = [tuple((a + b) / 2 for a, b in zip(off[i - 1], off[i])) for i in range(len(off))]
            outline.append([(scaled(between[0]), scaled(between[0]))])
            for i, control in enumerate(off):
                outline[-1].append((scaled(control), scaled(between[(i + 1) % len(off)])))
        elif verb == "qCurveTo":
            for control, end in decomposeQuadraticSegment(points):
                outline[-1].append((scaled(control), scaled(end)))
    return outline


data = bytearray()
for character in CHARACTERS:
    name = names[ord(character)]
    outline = contours(name)
    data += struct.pack("<HBB", ord(character), round(glyphs[name].width * UNITS / em), len(outline))
    for contour in outline:
        data.append(len(contour))
        for control, end in contour:
            # from 64 below the baseline, and to its left
            data += bytes(part + 64 for part in (*control, *end))

text = base64.b64encode(bytes(data)).decode()
lines = "\n".join(f"  {text[i:i + 96]}" for i in range(0, len(text), 96))
with open("src/view/raster/letters.ts", "w", encoding="utf8") as file:
    file.write(f'''/**
 * Outlines of letters, written by tools/letters.py from DejaVu Sans, whose letters are those of
 * Bitstream's fonts with changes that are in the public domain:
 *
 * Copyright (c) 2003 by Bitstream, Inc. All Rights Reserved. Permission is hereby granted, free of charge,
 * to any person obtaining a copy of the fonts accompanying this license ("Fonts") and associated
 * documentation files (the "Font Software"), to reproduce and distribute the Font Software, including
 * without limitation the rights to use, copy, merge, publish, distribute, and/or sell copies of the Font
 * Software, and to permit persons to whom the Font Software is furnished to do so, subject to the following
 * conditions: The above copyright and trademark notices and this permission notice shall be included in all
 * copies of one or more of the Font Software typefaces. The Font Software may be modified, altered, or added
 * to, and in particular the designs of glyphs or characters in the Fonts may be modified and additional
 * glyphs or characters may be added to the Fonts, only if the fonts are renamed to names not containing
 * either the words "Bitstream" or the word "Vera". This License becomes null and void to the extent
 * applicable to Fonts or Font Software that has been modified and is distributed under the "Bitstream Vera"
 * names. The Font Software may be sold as part of a larger software package but no copy of one or more of
 * the Font Software typefaces may be sold by itself. THE FONT SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY
 * OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO ANY WARRANTIES OF MERCHANTABILITY, FITNESS
 * FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF COPYRIGHT, PATENT, TRADEMARK, OR OTHER RIGHT. IN NO EVENT
 * SHALL BITSTREAM OR THE GNOME FOUNDATION BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, INCLUDING ANY
 * GENERAL, SPECIAL, INDIRECT, INCIDENTAL, OR CONSEQUENTIAL DAMAGES, WHETHER IN AN ACTION OF CONTRACT, TORT
 * OR OTHERWISE, ARISING FROM, OUT OF THE USE OR INABILITY TO USE THE FONT SOFTWARE OR FROM OTHER DEALINGS IN
 * THE FONT SOFTWARE.
 *
 * @module
 */

/** Units of an em. */
export const EM = {UNITS};

/**
 * Of every letter: its code (2 bytes), width and number of outlines; of every outline the number of its points; of
 * every point a control and an end, x and y each, 64 more than they are. A straight part has its end as control.
 */
export const LETTERS = `
{lines}
`;
''')
print(len(CHARACTERS), len(data))
