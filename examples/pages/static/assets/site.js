console.log("skitai");
