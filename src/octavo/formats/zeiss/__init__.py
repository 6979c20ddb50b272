"""Zeiss `.img` exports: what their names, their sizes or a profile say of them."""
