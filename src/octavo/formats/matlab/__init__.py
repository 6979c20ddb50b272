"""MATLAB `.mat` of version 5 to 7 and 7.3."""
