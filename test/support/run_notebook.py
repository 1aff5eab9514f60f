"""Runs cells in a kernel of Deno, and prints what they show: a list of outputs for each cell, as JSON.

  /usr/bin/python3 test/support/run_notebook.py FOLDER DENO < CELLS (a list of texts, as JSON)
"""

import json
import os
import sys

import nbclient
import nbformat

folder, deno = sys.argv[1:]
kernel = os.path.join(folder, "kernels", "deno")
os.makedirs(kernel)
command = [deno, "jupyter", "--kernel", "--conn", "{connection_file}"]
with open(os.path.join(kernel, "kernel.json"), "w") as file:
    json.dump({"argv": command, "display_name": "Deno", "language": "typescript"}, file)
os.environ["JUPYTER_PATH"] = folder

book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in json.load(sys.stdin)])
nbclient.NotebookClient(book, timeout=1200, kernel_name="deno").execute()
print(json.dumps([
    [{"type": output.output_type, **output.get("data", {})} for output in cell.outputs if "data" in output]
    for cell in book.cells
]))
