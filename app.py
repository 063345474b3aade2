"""The web app: `retail-seg app`, or `streamlit run app.py`."""

import streamlit as st

from retail_seg.web import scan

st.set_page_config(page_title="retail-seg", page_icon="🛒", layout="wide")
st.navigation([st.Page(scan.page, title="Scan", icon=":material/photo_camera:", default=True)]).run()
