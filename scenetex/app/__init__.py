"""The page of ``scenetex app``: a scan is dropped, a sentence typed, the result turned in the browser."""
