document.querySelector("time").textContent = new Date(document.lastModified).toLocaleString();
