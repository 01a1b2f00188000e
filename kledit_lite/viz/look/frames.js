(function () {
  document.querySelectorAll('[data-kl-frames=NAME]:not([data-kl-ready])').forEach(function (root) {
    root.setAttribute('data-kl-ready', '');
    var labels = WORDS, images = root.querySelectorAll('.kl-stage > img');
    var range = root.querySelector('input'), words = root.querySelector('output');
    var play = root.querySelector('button'), timer = null;
    function show(i) {
      images.forEach(function (image, k) { image.hidden = k !== i; });
      range.value = i;
      range.setAttribute('aria-valuetext', labels[i]);
      words.textContent = labels[i];
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      if (play) { play.textContent = 'Play'; play.setAttribute('aria-label', 'Play the frames'); }
    }
    range.addEventListener('input', function () { stop(); show(Number(range.value)); });
    if (play) {
      var calm = window.matchMedia('(prefers-reduced-motion: reduce)');
      var settle = function () { play.hidden = calm.matches; if (calm.matches) { stop(); } };
      if (calm.addEventListener) { calm.addEventListener('change', settle); }
      settle();
      play.addEventListener('click', function () {
        if (timer) { stop(); return; }
        if (Number(range.value) === images.length - 1) { show(0); }
        play.textContent = 'Pause';
        play.setAttribute('aria-label', 'Pause the frames');
        timer = setInterval(function () {
          var next = Number(range.value) + 1;
          if (next < images.length && root.isConnected) { show(next); }
          if (next >= images.length - 1 || !root.isConnected) { stop(); }
        }, 1100);
      });
    }
    root.querySelector('.kl-still').remove();
    root.querySelector('.kl-bar').hidden = false;
    show(Number(range.value) || 0);
  });
})();
